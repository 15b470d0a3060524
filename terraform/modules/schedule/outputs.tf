output "jobs" {
  description = "Names of the scheduled calls, to run by hand when a sale is moved."
  value       = sort([for job in google_cloud_scheduler_job.scale : job.name])
}
