variable "project_id" {
  type        = string
  description = "Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 small letters, digits and dashes."
  }
}

variable "region" {
  type        = string
  description = "Where workers and jobs run: that of Spanner's leader."

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region, such as europe-west1."
  }
}

variable "api_regions" {
  type        = list(string)
  description = "Where the API runs. The load balancer sends a buyer to the nearest."

  validation {
    condition     = length(var.api_regions) > 0 && length(distinct(var.api_regions)) == length(var.api_regions)
    error_message = "At least one region, none twice."
  }
}

variable "image" {
  type        = string
  description = "The image, by digest."

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "By digest: a tag would not say what runs."
  }
}

variable "settings" {
  type        = map(string)
  description = "FAIRDROP_* variables of every process; docs/settings.md has the meaning of each."

  validation {
    condition     = alltrue([for name in keys(var.settings) : startswith(name, "FAIRDROP_")])
    error_message = "Names begin with FAIRDROP_."
  }
}

variable "emails" {
  type        = map(string)
  description = "Address of each process's service account."

  validation {
    condition     = alltrue([for name in ["api", "webhooks", "schema", "operator"] : contains(keys(var.emails), name)])
    error_message = "api, webhooks, schema and operator are needed, and one for each worker."
  }
}

variable "secret_ids" {
  type        = map(string)
  description = "Secret id of each secret that a process is given."

  validation {
    condition     = toset(keys(var.secret_ids)) == toset(["claim-key", "metrics-token", "stripe-api-key", "stripe-webhook-secret"])
    error_message = "claim-key, metrics-token, stripe-api-key and stripe-webhook-secret."
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
  description = "Size of the API in each region. One process a core; min_instances only at first, then the schedule's."

  validation {
    condition     = contains([1, 2, 4, 8], var.api.cpu)
    error_message = "cpu is 1, 2, 4 or 8."
  }

  validation {
    condition     = var.api.concurrency >= 1 && var.api.concurrency <= 1000
    error_message = "Cloud Run lets an instance have at most 1000 requests at once."
  }

  validation {
    condition     = var.api.min_instances >= 0 && var.api.min_instances <= var.api.max_instances
    error_message = "min_instances is at most max_instances."
  }
}

variable "workers" {
  type        = map(object({ instances = number, cpu = number, memory = string }))
  description = "Size of each worker pool; instances only at first, then the schedule's."

  validation {
    condition     = toset(keys(var.workers)) == toset(["relay", "payments-relay", "payments", "settlement", "deadlines"])
    error_message = "Exactly relay, payments-relay, payments, settlement and deadlines: an order needs them all."
  }

  validation {
    condition     = alltrue([for worker in values(var.workers) : worker.instances >= 1])
    error_message = "At least one instance of each: the day after a sale still has deadlines and captures."
  }
}

variable "metrics_image" {
  type        = string
  description = "Google's Prometheus sidecar."

  validation {
    condition     = can(regex(":[0-9.]+$|@sha256:", var.metrics_image))
    error_message = "With a version or a digest."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether services and workers are protected against deletion."
}
