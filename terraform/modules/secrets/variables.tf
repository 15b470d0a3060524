variable "project_id" {
  type        = string
  description = "Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 small letters, digits and dashes."
  }
}

variable "readers" {
  type        = map(object({ member = string, secrets = list(string) }))
  description = "IAM member of each process that reads secrets, and which."

  validation {
    condition = alltrue([
      for reader in values(var.readers) :
      length(setsubtract(reader.secrets, ["claim-key", "metrics-token", "stripe-api-key", "stripe-webhook-secret"])) == 0
    ])
    error_message = "There are claim-key, metrics-token, stripe-api-key and stripe-webhook-secret."
  }
}
