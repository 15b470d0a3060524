resource "google_cloud_run_v2_service" "api" {
  for_each = toset(var.api_regions)

  project              = var.project_id
  name                 = "fairdrop-api"
  location             = each.key
  ingress              = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  invoker_iam_disabled = true # buyers' tokens are checked by the service itself
  deletion_protection  = var.deletion_protection

  # Of the service and not of the revision: the schedule changes it without a new revision.
  scaling {
    min_instance_count = var.api.min_instances
  }

  template {
    service_account                  = var.emails["api"]
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    max_instance_request_concurrency = var.api.concurrency
    timeout                          = "330s" # a stream of an order's events lasts up to 300 s

    scaling {
      max_instance_count = var.api.max_instances
    }

    containers {
      name  = "api"
      image = var.image
      args  = ["serve", "--host", "0.0.0.0"]

      ports {
        container_port = 8080
      }

      resources {
        limits            = { cpu = tostring(var.api.cpu), memory = var.api.memory }
        cpu_idle          = false # lanes, watches and followers work between requests
        startup_cpu_boost = true
      }

      # Traffic comes once the database answers; the session to it is open then.
      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 30

        http_get {
          path = "/readyz"
        }
      }

      # Not /readyz: a database that is away is not cured by killing the processes that wait for it.
      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 6

        http_get {
          path = "/healthz"
        }
      }

      env {
        name  = "WEB_CONCURRENCY"
        value = tostring(var.api.cpu)
      }

      dynamic "env" {
        for_each = var.settings

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.api_secrets

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
  }

  lifecycle {
    ignore_changes = [scaling, client, client_version]
  }
}

# Stripe's webhooks: another key, another address, another database than the shop's.
resource "google_cloud_run_v2_service" "webhooks" {
  project              = var.project_id
  name                 = "fairdrop-webhooks"
  location             = var.region
  ingress              = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  invoker_iam_disabled = true # Stripe's signature is checked by the service itself
  deletion_protection  = var.deletion_protection

  template {
    service_account                  = var.emails["webhooks"]
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    max_instance_request_concurrency = 80
    timeout                          = "60s"

    scaling {
      min_instance_count = 0 # Stripe sends again, and workers sweep: nothing waits for a webhook
      max_instance_count = 10
    }

    containers {
      name    = "webhooks"
      image   = var.image
      command = ["gunicorn"]
      args    = ["--threads", "8", "--bind", "0.0.0.0:8080", "app.payments.webhooks:create()"]

      ports {
        container_port = 8080
      }

      resources {
        limits   = { cpu = "1", memory = "1Gi" }
        cpu_idle = false
      }

      dynamic "env" {
        for_each = var.settings

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.gateway_secrets

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
  }

  lifecycle {
    ignore_changes = [client, client_version]
  }
}
