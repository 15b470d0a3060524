resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:images hold no secret and no data; a key of one's own would only be one more thing that can be lost
  project       = var.project_id
  location      = var.region
  repository_id = "fairdrop"
  format        = "DOCKER"
  description   = "Images of Fairdrop."

  docker_config {
    # A tag that moved would deploy something else than what was tested.
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = var.kept_images
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      older_than = "7776000s"
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "pushes" {
  project    = var.project_id
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = var.pusher
}
