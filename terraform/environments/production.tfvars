# Replace what names a project, an account, an address or a domain; the sizes are a place to begin, and not measured on Google Cloud.
project_id      = "fairdrop-production"
environment     = "production"
region          = "europe-west1"
api_regions     = ["europe-west1"]
message_regions = ["europe-west1", "europe-west3", "europe-west4"]
state_bucket    = "fairdrop-production-terraform"

image = "europe-west1-docker.pkg.dev/fairdrop-production/fairdrop/fairdrop@sha256:0000000000000000000000000000000000000000000000000000000000000000"

spanner = {
  config      = "regional-europe-west1"
  autoscaling = { min_nodes = 2, max_nodes = 20, cpu_percent = 50 }
}

api = {
  cpu           = 4
  memory        = "4Gi"
  concurrency   = 1000
  min_instances = 2
  max_instances = 100
}

workers = {
  relay          = { instances = 2, cpu = 1, memory = "1Gi" }
  payments-relay = { instances = 2, cpu = 1, memory = "1Gi" }
  payments       = { instances = 2, cpu = 1, memory = "1Gi" }
  settlement     = { instances = 2, cpu = 1, memory = "1Gi" }
  deadlines      = { instances = 2, cpu = 1, memory = "1Gi" }
}

# A sale at noon of 27 November: up an hour before, down six hours after (the captures of a 30-minute cancel window are done by then).
sale_windows = {
  iphone = {
    up_cron       = "0 11 27 11 *"
    down_cron     = "0 18 27 11 *"
    time_zone     = "Europe/Berlin"
    api_instances = 60
    spanner_nodes = 10
    workers       = { relay = 4, payments-relay = 4, payments = 8, settlement = 4, deadlines = 2 }
  }
}

auth = {
  issuer   = "https://securetoken.google.com/fairdrop-production"
  audience = "fairdrop-production"
  jwks_url = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
}

domains         = ["shop.example.com"]
admin_ranges    = ["203.0.113.0/24"]
alert_emails    = ["on-call@example.com"]
billing_account = "000000-000000-000000"
budget          = { currency = "EUR", units = 20000 }

repository          = "example/fairdrop"
repository_owner_id = "1"
