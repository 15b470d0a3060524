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
  description = "Where the images are kept."

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region, such as europe-west1."
  }
}

variable "kept_images" {
  type        = number
  description = "Newest images that are kept however old they are; the others go after 90 days."
  default     = 20

  validation {
    condition     = var.kept_images >= 2 && var.kept_images <= 1000
    error_message = "2 to 1000: to roll back, the one before must be there."
  }
}

variable "pusher" {
  type        = string
  description = "IAM member that pushes images: CI."

  validation {
    condition     = startswith(var.pusher, "serviceAccount:")
    error_message = "A service account, as serviceAccount:EMAIL."
  }
}
