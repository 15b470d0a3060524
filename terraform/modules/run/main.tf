# The API is in api.tf; here are the workers and the jobs.

locals {
  gateway_secrets = {
    FAIRDROP_STRIPE_API_KEY        = var.secret_ids["stripe-api-key"]
    FAIRDROP_STRIPE_WEBHOOK_SECRET = var.secret_ids["stripe-webhook-secret"]
  }

  api_secrets = {
    FAIRDROP_CLAIM_KEY     = var.secret_ids["claim-key"]
    FAIRDROP_METRICS_TOKEN = var.secret_ids["metrics-token"]
  }

  # The sidecar looks at 8080 unless it is told otherwise.
  metrics = {
    FAIRDROP_METRICS_PORT = "8080"
    FAIRDROP_METRICS_HOST = "0.0.0.0"
  }
}

# Worker pools and not services: a worker pulls and listens to nothing, and a pool's instances always have their processor.
resource "google_cloud_run_v2_worker_pool" "worker" {
  for_each = var.workers

  project             = var.project_id
  name                = "fairdrop-${each.key}"
  location            = var.region
  launch_stage        = "BETA" # needed while worker pools are in preview, taken without harm after that
  deletion_protection = var.deletion_protection

  scaling {
    scaling_mode          = "MANUAL"
    manual_instance_count = each.value.instances
  }

  template {
    service_account = var.emails[each.key]

    containers {
      name  = "worker"
      image = var.image
      args  = ["work", each.key]

      resources {
        limits = { cpu = tostring(each.value.cpu), memory = each.value.memory }
      }

      dynamic "env" {
        for_each = merge(var.settings, local.metrics)

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = each.key == "payments" ? local.gateway_secrets : {}

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = env.value
              version = "latest"
            }
          }
        }
      }
    }

    containers {
      name  = "metrics"
      image = var.metrics_image
    }
  }

  lifecycle {
    ignore_changes = [scaling, client, client_version]
  }
}

# `schema`: run at each deploy, before the new image. `operator`: whatever a person types, with --args.
resource "google_cloud_run_v2_job" "by_hand" {
  for_each = {
    schema   = ["schema", "apply"]
    operator = ["sale", "list"]
  }

  project             = var.project_id
  name                = "fairdrop-${each.key}"
  location            = var.region
  deletion_protection = var.deletion_protection

  template {
    template {
      service_account       = var.emails[each.key]
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      max_retries           = 0        # a person reads why it failed
      timeout               = "18000s" # an index over a large table is filled for hours

      containers {
        image = var.image
        args  = each.value

        resources {
          limits = { cpu = "2", memory = "4Gi" }
        }

        dynamic "env" {
          for_each = var.settings

          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [client, client_version]
  }
}
