variable "project_id" {
  type        = string
  description = "Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 small letters, digits and dashes."
  }
}

variable "regions" {
  type        = list(string)
  description = "Where messages may be stored. Several, so that a region's outage stops nothing."

  validation {
    condition     = length(var.regions) > 0
    error_message = "At least one region."
  }
}

variable "publishers" {
  type        = map(object({ topic = string, member = string }))
  description = "Who may publish to which topic."

  validation {
    condition     = alltrue([for one in values(var.publishers) : can(regex("^[a-z-]+(\\.dead)?$", one.topic))])
    error_message = "Each needs the name of a topic."
  }
}

variable "subscribers" {
  type        = map(object({ subscription = string, member = string }))
  description = "Who may take messages from which subscription."

  validation {
    condition     = alltrue([for one in values(var.subscribers) : can(regex("^[a-z-]+\\.[a-z.-]+$", one.subscription))])
    error_message = "Each needs the name of a subscription."
  }
}
