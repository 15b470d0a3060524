variable "project_id" {
  type        = string
  description = "Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 small letters, digits and dashes."
  }
}

variable "domains" {
  type        = list(string)
  description = "Names of the shop. Their DNS must point to the address before the certificate is issued."

  validation {
    condition     = length(var.domains) > 0 && alltrue([for name in var.domains : can(regex("^[a-z0-9.-]+\\.[a-z]+$", name))])
    error_message = "At least one name, such as shop.example.com."
  }
}

variable "api_regions" {
  type        = list(string)
  description = "Where the API runs."

  validation {
    condition     = length(var.api_regions) > 0
    error_message = "At least one region."
  }
}

variable "api_service" {
  type        = string
  description = "Name of the API's Cloud Run service."

  validation {
    condition     = length(var.api_service) > 0
    error_message = "A service's name."
  }
}

variable "webhooks_region" {
  type        = string
  description = "Where the webhooks' service runs."

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.webhooks_region))
    error_message = "A region, such as europe-west1."
  }
}

variable "webhooks_service" {
  type        = string
  description = "Name of the webhooks' Cloud Run service."

  validation {
    condition     = length(var.webhooks_service) > 0
    error_message = "A service's name."
  }
}

variable "admin_ranges" {
  type        = list(string)
  description = "Addresses from which the seller's interface can be reached, as CIDR ranges."

  validation {
    condition     = length(var.admin_ranges) > 0 && length(var.admin_ranges) <= 4 && alltrue([for range in var.admin_ranges : can(cidrhost(range, 0))])
    error_message = "One to four CIDR ranges (a rule of Cloud Armor has at most five parts)."
  }
}

variable "orders_per_client" {
  type        = number
  description = "Orders, cancellations included, that one address may send with one kind of client in ten seconds. A carrier's address has thousands of buyers behind it."
  default     = 2000

  validation {
    condition     = var.orders_per_client >= 5 && var.orders_per_client <= 1000000
    error_message = "5 to 1000000: a buyer whose connection breaks repeats."
  }
}

variable "requests_per_address" {
  type        = number
  description = "Requests that one address may send in ten seconds. A carrier's address has thousands of buyers behind it."
  default     = 10000

  validation {
    condition     = var.requests_per_address >= 100
    error_message = "At least 100."
  }
}

variable "log_share" {
  type        = number
  description = "Share of requests that the load balancer logs. All of a crowd's would cost more than the sale."
  default     = 0.01

  validation {
    condition     = var.log_share >= 0 && var.log_share <= 1
    error_message = "0 to 1."
  }
}
