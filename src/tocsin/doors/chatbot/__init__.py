"""The chatbot door: which channels of Slack, Teams and Chime hear which topics, over AWS's operations."""

from tocsin.doors.chatbot.door import chatbot_door

__all__ = ["chatbot_door"]
