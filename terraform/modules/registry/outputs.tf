output "image_name" {
  description = "Image name without tag or digest, to push to and deploy from."
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}/fairdrop"
}
