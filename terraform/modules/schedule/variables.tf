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
  description = "Where the workers are, and the schedule."

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region, such as europe-west1."
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

variable "worker_pools" {
  type        = map(string)
  description = "Name of each worker's pool."

  validation {
    condition     = length(var.worker_pools) > 0
    error_message = "At least one."
  }
}

variable "spanner_instance" {
  type        = string
  description = "Name of the Spanner instance."

  validation {
    condition     = length(var.spanner_instance) > 0
    error_message = "An instance's name."
  }
}

variable "scheduler_email" {
  type        = string
  description = "Service account that scales."

  validation {
    condition     = can(regex("@", var.scheduler_email))
    error_message = "An address."
  }
}

variable "windows" {
  type = map(object({
    up_cron       = string
    down_cron     = string
    time_zone     = string
    api_instances = number
    workers       = map(number)
    spanner_nodes = optional(number)
  }))
  description = "For each sale: when to scale up and down, and to what. Up at least 30 minutes before the opening; spanner_nodes only with autoscaling. cron knows no year: take a window away after its sale."

  validation {
    condition     = alltrue([for name in keys(var.windows) : can(regex("^[a-z][a-z0-9-]{0,40}$", name))])
    error_message = "Named by small letters, digits and dashes."
  }

  validation {
    condition     = alltrue([for window in values(var.windows) : length(split(" ", window.up_cron)) == 5 && length(split(" ", window.down_cron)) == 5])
    error_message = "up_cron and down_cron have five fields."
  }

  validation {
    condition     = alltrue(flatten([for window in values(var.windows) : [for count in values(window.workers) : count >= 1]]))
    error_message = "At least one instance of each worker."
  }
}

variable "resting" {
  type        = object({ api_instances = number, workers = map(number), spanner_nodes = optional(number) })
  description = "The sizes after a sale."

  validation {
    condition     = var.resting.api_instances >= 0 && alltrue([for count in values(var.resting.workers) : count >= 1])
    error_message = "At least one instance of each worker."
  }
}
