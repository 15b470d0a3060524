output "api_service" {
  description = "Name of the API's service, the same in each region."
  value       = one(distinct([for service in google_cloud_run_v2_service.api : service.name]))
}

output "webhooks_service" {
  description = "Name of the webhooks' service."
  value       = google_cloud_run_v2_service.webhooks.name
}

output "worker_pools" {
  description = "Name of each worker's pool."
  value       = { for name, pool in google_cloud_run_v2_worker_pool.worker : name => pool.name }
}
