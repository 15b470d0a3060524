output "ids" {
  description = "Secret id of each secret, by name. Known only once its readers may read it."
  value       = { for name, secret in google_secret_manager_secret.given : name => secret.secret_id }
  depends_on  = [google_secret_manager_secret_iam_member.reads]
}
