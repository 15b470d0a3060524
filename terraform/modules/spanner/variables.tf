variable "project_id" {
  type        = string
  description = "Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 small letters, digits and dashes."
  }
}

variable "instance_id" {
  type        = string
  description = "Name of the instance."
  default     = "fairdrop"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}[a-z0-9]$", var.instance_id))
    error_message = "2 to 64 small letters, digits and dashes."
  }
}

variable "config" {
  type        = string
  description = "Where the instance is: regional-REGION, or a multi-region such as eur3 or nam3."

  validation {
    condition     = can(regex("^(regional-[a-z]+-[a-z]+[0-9]+|[a-z]+[0-9]+|[a-z]+-[a-z]+[0-9]+)$", var.config))
    error_message = "An instance configuration, such as regional-europe-west1 or eur3."
  }
}

variable "edition" {
  type        = string
  description = "Spanner's edition. Autoscaling needs ENTERPRISE, a multi-region ENTERPRISE_PLUS."
  default     = "ENTERPRISE"

  validation {
    condition     = contains(["STANDARD", "ENTERPRISE", "ENTERPRISE_PLUS"], var.edition)
    error_message = "STANDARD, ENTERPRISE or ENTERPRISE_PLUS."
  }
}

variable "processing_units" {
  type        = number
  description = "Fixed size, when there is no autoscaling. 1000 are a node."
  default     = 100

  validation {
    condition     = var.processing_units >= 100 && (var.processing_units < 1000 ? var.processing_units % 100 == 0 : var.processing_units % 1000 == 0)
    error_message = "A multiple of 100 below 1000, of 1000 above."
  }
}

variable "autoscaling" {
  type        = object({ min_nodes = number, max_nodes = number, cpu_percent = number })
  description = "Between how many nodes Spanner scales itself, and for what share of high-priority processor time; null: fixed size."
  default     = null

  validation {
    condition = var.autoscaling == null ? true : (
      var.autoscaling.min_nodes >= 1 && var.autoscaling.max_nodes <= 10 * var.autoscaling.min_nodes &&
      var.autoscaling.min_nodes < var.autoscaling.max_nodes &&
      var.autoscaling.cpu_percent >= 10 && var.autoscaling.cpu_percent <= 90
    )
    error_message = "min_nodes below max_nodes and at least a tenth of it, cpu_percent 10 to 90."
  }
}

variable "databases" {
  type        = map(string)
  description = "Name of the database of each service: orders and payments."
  default     = { orders = "fairdrop", payments = "fairdrop-payments" }

  validation {
    condition     = toset(keys(var.databases)) == toset(["orders", "payments"])
    error_message = "Exactly orders and payments."
  }
}

variable "backup_cron" {
  type        = string
  description = "When a full backup is taken, in UTC. At an hour without sales."
  default     = "0 3 * * *"

  validation {
    condition     = length(split(" ", var.backup_cron)) == 5
    error_message = "Five fields of cron."
  }
}

variable "backup_retention_days" {
  type        = number
  description = "Days a backup is kept."
  default     = 35

  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 366
    error_message = "1 to 366 days."
  }
}

variable "data_role" {
  type        = string
  description = "Full name of the role that reads and writes rows."

  validation {
    condition     = can(regex("/?roles/", var.data_role))
    error_message = "A role's full name."
  }
}

variable "data_users" {
  type        = map(object({ database = string, member = string }))
  description = "Who reads and writes the rows of which service's database."

  validation {
    condition     = alltrue([for user in values(var.data_users) : contains(["orders", "payments"], user.database)])
    error_message = "database is orders or payments."
  }
}

variable "schema_member" {
  type        = string
  description = "IAM member that changes the schema and splits ranges."

  validation {
    condition     = startswith(var.schema_member, "serviceAccount:")
    error_message = "A service account, as serviceAccount:EMAIL."
  }
}
