# What the types of resources can say, all of it twice: as it is made, and as it is after `-var=changed=true`.

terraform {
  required_providers {
    awscc = { source = "hashicorp/awscc" }
  }
}

provider "awscc" {}

variable "changed" {
  default = false
}

locals {
  role      = "arn:aws:iam::111122223333:role/${var.changed ? "other" : "hyperpod"}"
  fixed     = "arn:aws:iam::111122223333:role/hyperpod"
  key       = "11112222-3333-4444-5555-666677778888"
  lifecycle = { source_s3_uri = "s3://hyperpod-lifecycle/config/", on_create = "on_create.sh" }
  tags = (
    var.changed
    ? [{ key = "a", value = "3" }, { key = "c", value = "" }]
    : [{ key = "b", value = "2" }, { key = "a", value = "1" }]
  )
}

resource "awscc_sagemaker_cluster" "eks" {
  cluster_name           = "eks"
  cluster_role           = local.fixed
  node_provisioning_mode = "Continuous"
  node_recovery          = var.changed ? "Automatic" : "None"
  orchestrator           = { eks = { cluster_arn = "arn:aws:eks:us-west-2:111122223333:cluster/eks" } }
  vpc_config             = { security_group_ids = ["sg-2", "sg-1"], subnets = ["subnet-2", "subnet-1"] }
  auto_scaling           = { mode = var.changed ? "Disable" : "Enable", auto_scaler_type = "Karpenter" }
  tiered_storage_config  = { mode = "Enable", instance_memory_allocation_percentage = var.changed ? 40 : 30 }

  instance_groups = [
    {
      instance_group_name         = "gpu"
      instance_type               = "ml.p5.48xlarge"
      instance_count              = 0
      min_instance_count          = 0
      execution_role              = local.fixed
      threads_per_core            = 2
      on_start_deep_health_checks = ["InstanceConnectivity", "InstanceStress"]
      override_vpc_config         = { security_group_ids = ["sg-9"], subnets = ["subnet-9", "subnet-8"] }
      image_id                    = "ami-0123456789abcdef0"
      instance_storage_configs    = [{ ebs_volume_config = { volume_size_in_gb = 500, volume_kms_key_id = local.key } }]
      life_cycle_config           = local.lifecycle
      kubernetes_config = {
        labels = { team = var.changed ? "b" : "a" }
        taints = [{ key = "gpu", value = "true", effect = "NoSchedule" }]
      }
      scheduled_update_config = {
        schedule_expression = "cron(00 11 ? * MON *)"
        deployment_config = {
          wait_interval_in_seconds    = 60
          rolling_update_policy       = { maximum_batch_size = { type = "INSTANCE_COUNT", value = var.changed ? 2 : 1 } }
          auto_rollback_configuration = [{ alarm_name = "errors" }]
        }
      }
    },
    {
      instance_group_name   = "mixed"
      instance_requirements = { instance_types = ["ml.g5.xlarge", "ml.g6.xlarge"] }
      instance_count        = 1
      execution_role        = local.fixed
      life_cycle_config     = local.lifecycle
    },
  ]

  tags = local.tags
}

resource "awscc_events_event_bus" "apps" {
  name               = "apps"
  description        = var.changed ? "" : "Of applications"
  kms_key_identifier = "arn:aws:kms:us-west-2:111122223333:key/${local.key}"
  dead_letter_config = { arn = var.changed ? awscc_sqs_queue.unnamed.arn : awscc_sqs_queue.dead.arn }
  log_config         = { level = var.changed ? "ERROR" : "INFO", include_detail = "NONE" }
  tags               = local.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "others"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::${var.changed ? "222233335555" : "222233334444"}:root" }
      Action    = "events:PutEvents"
      Resource  = "arn:aws:events:us-west-2:111122223333:event-bus/apps"
    }]
  })
}

resource "awscc_events_rule" "scheduled" {
  name                = "nightly"
  schedule_expression = var.changed ? "rate(5 minutes)" : "cron(0 3 * * ? *)"
  role_arn            = local.role
  state               = "DISABLED"
  tags                = local.tags

  targets = [{
    id             = "queue"
    arn            = awscc_sqs_queue.fifo.arn
    sqs_parameters = { message_group_id = var.changed ? "h" : "g" }
    input          = jsonencode({ b = 1, a = "<x>" })
  }]
}

resource "awscc_events_rule" "apps" {
  name           = "apps"
  event_bus_name = awscc_events_event_bus.apps.name
  event_pattern = jsonencode({
    source = ["a"]
    detail = { n = [{ numeric = [">", var.changed ? 6 : 5.5] }], x = [null, true] }
  })

  targets = [
    {
      id                 = "z"
      arn                = awscc_sqs_queue.dead.arn
      retry_policy       = { maximum_event_age_in_seconds = 600, maximum_retry_attempts = var.changed ? 3 : 0 }
      dead_letter_config = { arn = awscc_sqs_queue.dead.arn }
    },
    {
      id         = "a"
      arn        = awscc_sns_topic.logged.topic_arn
      input_path = "$.detail"
    },
  ]
}

resource "awscc_events_rule" "by_arn" {
  name           = "by-arn"
  event_bus_name = awscc_events_event_bus.apps.arn
  event_pattern  = jsonencode({ source = ["b"] })
}

resource "awscc_events_rule" "unnamed" {
  event_pattern = jsonencode({ source = ["c"] })
}

resource "awscc_sqs_queue" "dead" {
  queue_name                        = "dead"
  redrive_allow_policy              = jsonencode({ redrivePermission = var.changed ? "allowAll" : "denyAll" })
  kms_master_key_id                 = "alias/aws/sqs"
  kms_data_key_reuse_period_seconds = 300
  tags                              = local.tags
}

resource "awscc_sqs_queue" "fifo" {
  queue_name                        = "jobs.fifo"
  fifo_queue                        = true
  content_based_deduplication       = true
  deduplication_scope               = "messageGroup"
  fifo_throughput_limit             = "perMessageGroupId"
  delay_seconds                     = var.changed ? 3 : 0
  receive_message_wait_time_seconds = 5
  maximum_message_size              = 1024
}

resource "awscc_sqs_queue" "unnamed" {
  visibility_timeout      = var.changed ? 45 : 30
  sqs_managed_sse_enabled = false
  redrive_policy          = jsonencode({ deadLetterTargetArn = awscc_sqs_queue.unnamed_too.arn, maxReceiveCount = 3 })
}

resource "awscc_sqs_queue" "unnamed_too" {}

resource "awscc_sns_topic" "fifo" {
  topic_name                  = "orders.fifo"
  fifo_topic                  = true
  content_based_deduplication = !var.changed
  fifo_throughput_scope       = "MessageGroup"
}

resource "awscc_sns_topic" "logged" {
  topic_name             = "logged"
  display_name           = var.changed ? "Logged" : ""
  signature_version      = "2"
  tracing_config         = var.changed ? "PassThrough" : "Active"
  kms_master_key_id      = "alias/aws/sns"
  data_protection_policy = jsonencode({ Name = "none", Version = "2021-06-01", Statement = [] })
  subscription           = [{ protocol = "sqs", endpoint = awscc_sqs_queue.dead.arn }]
  tags                   = local.tags

  delivery_status_logging = [
    {
      protocol                     = "sqs"
      success_feedback_sample_rate = var.changed ? "50" : "100"
      failure_feedback_role_arn    = local.role
    },
    { protocol = "http/s", success_feedback_role_arn = local.role },
  ]
}

resource "awscc_sns_topic" "unnamed" {}

resource "awscc_logs_log_group" "rare" {
  log_group_name              = "/rare"
  log_group_class             = "INFREQUENT_ACCESS"
  deletion_protection_enabled = !var.changed
  tags                        = local.tags
}

resource "awscc_logs_log_group" "unnamed" {}
