variable "project_id" {
  type        = string
  description = "Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 small letters, digits and dashes."
  }
}

variable "environment" {
  type        = string
  description = "development or production, as FAIRDROP_ENVIRONMENT. Only production takes Stripe's live keys."

  validation {
    condition     = contains(["development", "production"], var.environment)
    error_message = "development or production."
  }
}

variable "region" {
  type        = string
  description = "Where workers, jobs and images are: the region of Spanner's leader."

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region, such as europe-west1."
  }
}

variable "api_regions" {
  type        = list(string)
  description = "Where the API runs. Each commit goes to Spanner's leader, from wherever it comes."

  validation {
    condition     = length(var.api_regions) > 0 && length(distinct(var.api_regions)) == length(var.api_regions)
    error_message = "At least one region, none twice."
  }
}

variable "message_regions" {
  type        = list(string)
  description = "Where Pub/Sub may store messages."

  validation {
    condition     = length(var.message_regions) > 0
    error_message = "At least one region."
  }
}

variable "image" {
  type        = string
  description = "The image to run, by digest."

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "By digest: a tag would not say what runs."
  }
}

variable "metrics_image" {
  type        = string
  description = "Google's Prometheus sidecar for Cloud Run."
  default     = "us-docker.pkg.dev/cloud-ops-agents-artifacts/cloud-run-gmp-sidecar/cloud-run-gmp-sidecar:1.2.0"

  validation {
    condition     = can(regex(":[0-9.]+$|@sha256:", var.metrics_image))
    error_message = "With a version or a digest."
  }
}

variable "spanner" {
  type = object({
    config                = string
    edition               = optional(string, "ENTERPRISE")
    processing_units      = optional(number, 100)
    autoscaling           = optional(object({ min_nodes = number, max_nodes = number, cpu_percent = number }))
    backup_retention_days = optional(number, 35)
    databases             = optional(map(string), { orders = "fairdrop", payments = "fairdrop-payments" })
  })
  description = "Spanner's place and size, and the databases' names. With autoscaling, processing_units is not used."

  validation {
    condition     = startswith(var.spanner.config, "regional-") || var.spanner.edition == "ENTERPRISE_PLUS"
    error_message = "A multi-region needs the edition ENTERPRISE_PLUS."
  }

  validation {
    condition     = var.spanner.autoscaling == null || var.spanner.edition != "STANDARD"
    error_message = "Autoscaling needs the edition ENTERPRISE or ENTERPRISE_PLUS."
  }
}

variable "api" {
  type = object({
    cpu           = number
    memory        = string
    concurrency   = number
    min_instances = number
    max_instances = number
  })
  description = "Size of the API in each region when no sale is near."

  validation {
    condition     = var.api.min_instances >= 0 && var.api.min_instances <= var.api.max_instances
    error_message = "min_instances is at most max_instances."
  }
}

variable "workers" {
  type        = map(object({ instances = number, cpu = number, memory = string }))
  description = "Size of each worker pool when no sale is near."

  validation {
    condition     = alltrue([for worker in values(var.workers) : worker.instances >= 1])
    error_message = "At least one instance of each."
  }
}

variable "sale_windows" {
  type = map(object({
    up_cron       = string
    down_cron     = string
    time_zone     = string
    api_instances = number
    workers       = map(number)
    spanner_nodes = optional(number)
  }))
  description = "For each sale: when to scale up and down, and to what."
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.sale_windows) : can(regex("^[a-z][a-z0-9-]{0,40}$", name))])
    error_message = "Named by small letters, digits and dashes."
  }
}

variable "auth" {
  type        = object({ issuer = string, audience = string, jwks_url = string })
  description = "Who signs buyers' tokens, as FAIRDROP_AUTH_ISSUER, FAIRDROP_AUTH_AUDIENCE and FAIRDROP_AUTH_JWKS_URL."

  validation {
    condition     = startswith(var.auth.issuer, "https://") && startswith(var.auth.jwks_url, "https://")
    error_message = "issuer and jwks_url begin with https://."
  }
}

variable "domains" {
  type        = list(string)
  description = "Names of the shop."

  validation {
    condition     = length(var.domains) > 0
    error_message = "At least one name."
  }
}

variable "admin_ranges" {
  type        = list(string)
  description = "Addresses from which the seller's interface can be reached."

  validation {
    condition     = length(var.admin_ranges) > 0 && !contains(var.admin_ranges, "0.0.0.0/0")
    error_message = "At least one range, and not everybody."
  }
}

variable "alert_emails" {
  type        = list(string)
  description = "Who is told."

  validation {
    condition     = length(var.alert_emails) > 0
    error_message = "At least one address."
  }
}

variable "billing_account" {
  type        = string
  description = "Billing account of the project."

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "As 0X0X0X-0X0X0X-0X0X0X."
  }
}

variable "budget" {
  type        = object({ currency = string, units = number })
  description = "What a month may cost before somebody is told."

  validation {
    condition     = var.budget.units >= 1
    error_message = "At least 1."
  }
}

variable "repository" {
  type        = string
  description = "GitHub repository, as owner/name."

  validation {
    condition     = can(regex("^[\\w.-]+/[\\w.-]+$", var.repository))
    error_message = "As owner/name."
  }
}

variable "repository_owner_id" {
  type        = string
  description = "Number of the repository's owner."

  validation {
    condition     = can(regex("^[0-9]+$", var.repository_owner_id))
    error_message = "A number."
  }
}

variable "state_bucket" {
  type        = string
  description = "Bucket of Terraform's state, made before the first run."

  validation {
    condition     = length(var.state_bucket) >= 3
    error_message = "A bucket's name."
  }
}
