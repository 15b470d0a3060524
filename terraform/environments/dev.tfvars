# A tenth of a node, one instance of each worker, and no API instance while nobody asks.
project_id      = "fairdrop-dev"
environment     = "development"
region          = "europe-west1"
api_regions     = ["europe-west1"]
message_regions = ["europe-west1"]
state_bucket    = "fairdrop-dev-terraform"

image = "europe-west1-docker.pkg.dev/fairdrop-dev/fairdrop/fairdrop@sha256:0000000000000000000000000000000000000000000000000000000000000000"

spanner = {
  config                = "regional-europe-west1"
  edition               = "STANDARD"
  processing_units      = 100
  backup_retention_days = 7
}

api = {
  cpu           = 1
  memory        = "1Gi"
  concurrency   = 1000
  min_instances = 0
  max_instances = 4
}

workers = {
  relay          = { instances = 1, cpu = 1, memory = "512Mi" }
  payments-relay = { instances = 1, cpu = 1, memory = "512Mi" }
  payments       = { instances = 1, cpu = 1, memory = "512Mi" }
  settlement     = { instances = 1, cpu = 1, memory = "512Mi" }
  deadlines      = { instances = 1, cpu = 1, memory = "512Mi" }
}

auth = {
  issuer   = "https://securetoken.google.com/fairdrop-dev"
  audience = "fairdrop-dev"
  jwks_url = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
}

domains         = ["dev.shop.example.com"]
admin_ranges    = ["203.0.113.0/24"]
alert_emails    = ["dev@example.com"]
billing_account = "000000-000000-000000"
budget          = { currency = "EUR", units = 500 }

repository          = "example/fairdrop"
repository_owner_id = "1"
