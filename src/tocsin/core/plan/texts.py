"""What nodes and clusters are said to suffer from: failure texts and fault types, told to clients and in events."""

# Failure texts as real clusters show them (facts/hyperpod.md §3.3).
SCRIPT_FAILED = (
    "Lifecycle scripts did not run successfully. Ensure the scripts exist in provided S3 path, are accessible, and run "
    "without errors. Please see CloudWatch logs for lifecycle script execution details."
)
SCRIPT_TIMED_OUT = "Lifecycle scripts execution timed out"
NO_CAPACITY_BEGINS = "We currently do not have sufficient capacity"
NO_CAPACITY = f"{NO_CAPACITY_BEGINS} to launch new {{instance_type}} instances. Please try again."
PROVISION_FAILED = (
    'Instance {instance_id} failed to provision with the following error: "{message}" '
    "Note that multiple instances may be impacted."
)
REPLACEMENT_FAILED = "Instance replacement failed: {message}"
NEVER_CAME_UP = "The instance did not come up within {seconds:g} seconds."
ENDED_EARLY = "The instance ended before it joined the cluster."
UNHEALTHY = "The instance is unhealthy: {fault}."
NEVER_CAME_BACK = "The instance did not come back from its reboot: {fault}."

MINIMUM_MISSED = (
    "Minimum capacity of {minimum} not reached in instance group {group} within {hours:g} hours. Rollback initiated."
)
UPDATE_FAILED = "The software update of instance group {group} failed: instance {instance_id}: {message}"
UPDATE_ALARMED = "The software update of instance group {group} was stopped: in ALARM: {alarms}."
ROLLBACK_FAILED = "The instance could not be brought back to its former image: {message}"

# Fault types of our own, beside those of the health monitoring agent: what the fleet itself finds out.
FAULT_ENDED = "InstanceTerminated"
FAULT_SILENT = "InstanceUnreachable"
FAULT_UPDATE = "SoftwareUpdateFailed"
