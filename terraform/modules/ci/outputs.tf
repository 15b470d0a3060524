output "provider" {
  description = "Full name of the identity provider, for the workflow."
  value       = google_iam_workload_identity_pool_provider.github.name
}

output "plan_account" {
  description = "Account that plans."
  value       = google_service_account.ci["plan"].email
}

output "images_account" {
  description = "Account that pushes images."
  value       = google_service_account.ci["images"].email
}

output "images_member" {
  description = "The same as an IAM member."
  value       = google_service_account.ci["images"].member
}
