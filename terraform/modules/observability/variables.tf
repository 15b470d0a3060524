variable "project_id" {
  type        = string
  description = "Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 small letters, digits and dashes."
  }
}

variable "domain" {
  type        = string
  description = "The shop's name, for the uptime check."

  validation {
    condition     = can(regex("^[a-z0-9.-]+\\.[a-z]+$", var.domain))
    error_message = "A name, such as shop.example.com."
  }
}

variable "url_map" {
  type        = string
  description = "Name of the load balancer's URL map."

  validation {
    condition     = length(var.url_map) > 0
    error_message = "A name."
  }
}

variable "api_service" {
  type        = string
  description = "Name of the API's Cloud Run service."

  validation {
    condition     = length(var.api_service) > 0
    error_message = "A name."
  }
}

variable "spanner_instance" {
  type        = string
  description = "Name of the Spanner instance."

  validation {
    condition     = length(var.spanner_instance) > 0
    error_message = "A name."
  }
}

variable "alert_emails" {
  type        = list(string)
  description = "Who is told."

  validation {
    condition     = length(var.alert_emails) > 0 && alltrue([for one in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", one))])
    error_message = "At least one address: an alert that nobody gets is none."
  }
}

variable "outbox_lag_seconds" {
  type        = number
  description = "Longest an event waits for the broker before somebody is told."
  default     = 5

  validation {
    condition     = var.outbox_lag_seconds > 0
    error_message = "More than 0."
  }
}

variable "oldest_event_seconds" {
  type        = number
  description = "Longest an event waits for its consumer before somebody is told."
  default     = 120

  validation {
    condition     = var.oldest_event_seconds > 0
    error_message = "More than 0."
  }
}

variable "server_error_share" {
  type        = number
  description = "Share of answers of 5xx from which somebody is told."
  default     = 0.01

  validation {
    condition     = var.server_error_share > 0 && var.server_error_share < 1
    error_message = "Between 0 and 1."
  }
}

variable "spanner_cpu_share" {
  type        = number
  description = "Share of Spanner's processors for high-priority work from which somebody is told. Google advises 0.65 in one region, 0.45 in each of several."
  default     = 0.65

  validation {
    condition     = var.spanner_cpu_share > 0 && var.spanner_cpu_share < 1
    error_message = "Between 0 and 1."
  }
}

variable "lock_wait_seconds_per_second" {
  type        = number
  description = "Seconds that transactions wait for locks, in each second, from which somebody is told."
  default     = 1

  validation {
    condition     = var.lock_wait_seconds_per_second > 0
    error_message = "More than 0."
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
  description = "What a month may cost before somebody is told. Nothing is switched off."

  validation {
    condition     = can(regex("^[A-Z]{3}$", var.budget.currency)) && var.budget.units >= 1
    error_message = "A currency of ISO 4217, and at least 1."
  }
}
