terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "6.50.0"
    }
  }

  # Bucket and prefix come from environments/NAME.gcs.tfbackend.
  backend "gcs" {}
}

provider "google" {
  project = var.project_id
  region  = var.region

  default_labels = {
    app         = "fairdrop"
    environment = var.environment
  }

  # A budget belongs to a billing account; the call is counted on this project.
  billing_project       = var.project_id
  user_project_override = true
}
