# Before a sale: more instances and more nodes; after it: what there was. Autoscaling follows a load by minutes, and a flash sale's
# load is all there in its first second.

locals {
  run     = "https://run.googleapis.com/v2/projects/${var.project_id}/locations"
  spanner = "projects/${var.project_id}/instances/${var.spanner_instance}"

  # What is to be told of one size of everything: name => address and body.
  sizes = merge(
    { for name, window in var.windows : "${name}-up" => {
      cron    = window.up_cron, time_zone = window.time_zone, api = window.api_instances,
      workers = window.workers, nodes = window.spanner_nodes
    } },
    { for name, window in var.windows : "${name}-down" => {
      cron    = window.down_cron, time_zone = window.time_zone, api = var.resting.api_instances,
      workers = var.resting.workers, nodes = var.resting.spanner_nodes
    } },
  )

  calls = merge([
    for name, size in local.sizes : merge(
      { for region in var.api_regions : "${name}-api-${region}" => {
        cron = size.cron
        zone = size.time_zone
        uri  = "${local.run}/${region}/services/${var.api_service}?updateMask=scaling.minInstanceCount"
        body = { scaling = { minInstanceCount = size.api } }
      } },
      { for worker, instances in size.workers : "${name}-${worker}" => {
        cron = size.cron
        zone = size.time_zone
        uri  = "${local.run}/${var.region}/workerPools/${var.worker_pools[worker]}?updateMask=scaling.manualInstanceCount"
        body = { scaling = { manualInstanceCount = instances } }
      } },
      { for nodes in size.nodes[*] : "${name}-spanner" => {
        cron = size.cron
        zone = size.time_zone
        uri  = "https://spanner.googleapis.com/v1/${local.spanner}"
        body = {
          fieldMask = "autoscaling_config.autoscaling_limits.min_nodes"
          instance = {
            name              = local.spanner
            autoscalingConfig = { autoscalingLimits = { minNodes = nodes } }
          }
        }
      } },
    )
  ]...)
}

resource "google_cloud_scheduler_job" "scale" {
  for_each = local.calls

  project          = var.project_id
  region           = var.region
  name             = "fairdrop-${each.key}"
  description      = "Scales for a sale. Run it by hand whenever it is needed: gcloud scheduler jobs run."
  schedule         = each.value.cron
  time_zone        = each.value.zone
  attempt_deadline = "60s"

  retry_config {
    retry_count          = 5
    min_backoff_duration = "10s"
    max_backoff_duration = "60s"
  }

  http_target {
    http_method = "PATCH"
    uri         = each.value.uri
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(jsonencode(each.value.body))

    oauth_token {
      service_account_email = var.scheduler_email
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }
}
