output "address" {
  description = "Where the DNS records of the domains must point."
  value       = module.edge.address
}

output "image_name" {
  description = "Image name to push to and deploy from."
  value       = module.registry.image_name
}

output "ci" {
  description = "What the workflow needs to know, as variables of the repository."
  value = {
    GCP_IDENTITY_PROVIDER = module.ci.provider
    GCP_PLAN_ACCOUNT      = module.ci.plan_account
    GCP_IMAGES_ACCOUNT    = module.ci.images_account
  }
}

output "scaling_jobs" {
  description = "Names of the scheduled calls, to run by hand when a sale is moved."
  value       = module.schedule.jobs
}
