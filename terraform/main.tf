# What there is, from the ground up: services, accounts, storage, processes, the edge, the schedule, and what watches over it.

resource "google_project_service" "needed" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "billingbudgets.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtrace.googleapis.com",
    "compute.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "spanner.googleapis.com",
    "sts.googleapis.com",
    "telemetry.googleapis.com",
  ])

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false
}

module "identities" {
  source = "./modules/identities"

  project_id = var.project_id
  depends_on = [google_project_service.needed]
}

module "ci" {
  source = "./modules/ci"

  project_id          = var.project_id
  repository          = var.repository
  repository_owner_id = var.repository_owner_id
  state_bucket        = var.state_bucket
  billing_account     = var.billing_account
  depends_on          = [google_project_service.needed]
}

module "registry" {
  source = "./modules/registry"

  project_id = var.project_id
  region     = var.region
  pusher     = module.ci.images_member
}

module "secrets" {
  source = "./modules/secrets"

  project_id = var.project_id

  readers = {
    api      = { member = module.identities.members["api"], secrets = ["claim-key", "metrics-token"] }
    payments = { member = module.identities.members["payments"], secrets = ["stripe-api-key", "stripe-webhook-secret"] }
    webhooks = { member = module.identities.members["webhooks"], secrets = ["stripe-api-key", "stripe-webhook-secret"] }
  }
}

module "spanner" {
  source = "./modules/spanner"

  project_id            = var.project_id
  config                = var.spanner.config
  edition               = var.spanner.edition
  processing_units      = var.spanner.processing_units
  autoscaling           = var.spanner.autoscaling
  backup_retention_days = var.spanner.backup_retention_days
  databases             = var.spanner.databases
  data_role             = module.identities.data_role
  schema_member         = module.identities.members["schema"]

  # The two services share events, never tables. Only the operator sees both: an audit follows the money.
  data_users = merge(
    { for name in ["api", "relay", "settlement", "deadlines", "operator"] : "orders/${name}" => {
      database = "orders", member = module.identities.members[name]
    } },
    { for name in ["payments", "payments-relay", "webhooks", "operator"] : "payments/${name}" => {
      database = "payments", member = module.identities.members[name]
    } },
  )
}

module "pubsub" {
  source = "./modules/pubsub"

  project_id = var.project_id
  regions    = var.message_regions

  publishers = {
    relay            = { topic = "order-events", member = module.identities.members["relay"] }
    payments-relay   = { topic = "payment-events", member = module.identities.members["payments-relay"] }
    payments-buries  = { topic = "order-events.dead", member = module.identities.members["payments"] }
    settlement-bury  = { topic = "payment-events.dead", member = module.identities.members["settlement"] }
    operator-orders  = { topic = "order-events", member = module.identities.members["operator"] }
    operator-payment = { topic = "payment-events", member = module.identities.members["operator"] }
  }

  subscribers = {
    payments         = { subscription = "payments.order-events", member = module.identities.members["payments"] }
    settlement       = { subscription = "settlement.payment-events", member = module.identities.members["settlement"] }
    operator-orders  = { subscription = "order-events.dead.inbox", member = module.identities.members["operator"] }
    operator-payment = { subscription = "payment-events.dead.inbox", member = module.identities.members["operator"] }
    # The seller's console counts them.
    api-orders  = { subscription = "order-events.dead.inbox", member = module.identities.members["api"] }
    api-payment = { subscription = "payment-events.dead.inbox", member = module.identities.members["api"] }
  }
}

module "run" {
  source = "./modules/run"

  project_id          = var.project_id
  region              = var.region
  api_regions         = var.api_regions
  image               = var.image
  emails              = module.identities.emails
  secret_ids          = module.secrets.ids
  api                 = var.api
  workers             = var.workers
  metrics_image       = var.metrics_image
  deletion_protection = var.environment == "production"

  settings = {
    FAIRDROP_ENVIRONMENT       = var.environment
    FAIRDROP_SPANNER_PROJECT   = var.project_id
    FAIRDROP_SPANNER_INSTANCE  = module.spanner.instance
    FAIRDROP_SPANNER_DATABASE  = module.spanner.databases["orders"]
    FAIRDROP_PAYMENTS_DATABASE = module.spanner.databases["payments"]
    FAIRDROP_PUBSUB_PROJECT    = var.project_id
    FAIRDROP_PAYMENT_GATEWAY   = "stripe"
    FAIRDROP_AUTH_ISSUER       = var.auth.issuer
    FAIRDROP_AUTH_AUDIENCE     = var.auth.audience
    FAIRDROP_AUTH_JWKS_URL     = var.auth.jwks_url
    FAIRDROP_TRACES            = "cloud"
  }

  # With who may use them: an instance that may not read its database is never ready.
  depends_on = [module.pubsub, module.spanner]
}

module "edge" {
  source = "./modules/edge"

  project_id       = var.project_id
  domains          = var.domains
  api_regions      = var.api_regions
  api_service      = module.run.api_service
  webhooks_region  = var.region
  webhooks_service = module.run.webhooks_service
  admin_ranges     = var.admin_ranges
}

module "schedule" {
  source = "./modules/schedule"

  project_id       = var.project_id
  region           = var.region
  api_regions      = var.api_regions
  api_service      = module.run.api_service
  worker_pools     = module.run.worker_pools
  spanner_instance = module.spanner.instance
  scheduler_email  = module.identities.emails["scheduler"]
  windows          = var.sale_windows

  resting = {
    api_instances = var.api.min_instances
    workers       = { for name, worker in var.workers : name => worker.instances }
    spanner_nodes = try(var.spanner.autoscaling.min_nodes, null)
  }
}

module "observability" {
  source = "./modules/observability"

  project_id        = var.project_id
  domain            = var.domains[0]
  url_map           = module.edge.url_map
  api_service       = module.run.api_service
  spanner_instance  = module.spanner.instance
  alert_emails      = var.alert_emails
  billing_account   = var.billing_account
  budget            = var.budget
  spanner_cpu_share = startswith(var.spanner.config, "regional-") ? 0.65 : 0.45
}
