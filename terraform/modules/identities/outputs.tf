output "emails" {
  description = "Address of each process's service account, by the process's name."
  value       = { for name, account in google_service_account.process : name => account.email }
}

output "members" {
  description = "The same as IAM members."
  value       = { for name, account in google_service_account.process : name => account.member }
}

output "data_role" {
  description = "Full name of the role that reads and writes rows."
  value       = google_project_iam_custom_role.data_user.id
}
