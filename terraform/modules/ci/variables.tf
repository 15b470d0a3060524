variable "project_id" {
  type        = string
  description = "Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 small letters, digits and dashes."
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
  description = "Number of the repository's owner: a name that was given up can be taken by others, a number cannot."

  validation {
    condition     = can(regex("^[0-9]+$", var.repository_owner_id))
    error_message = "A number."
  }
}

variable "state_bucket" {
  type        = string
  description = "Bucket of Terraform's state, which a plan reads."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "A bucket's name."
  }
}

variable "billing_account" {
  type        = string
  description = "Billing account, whose budget a plan reads."

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "As 0X0X0X-0X0X0X-0X0X0X."
  }
}
