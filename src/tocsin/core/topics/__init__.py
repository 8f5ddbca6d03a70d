"""What SNS decides: attributes, filters, envelopes, retries and mails. Services and the door ask; nothing acts here."""
