output "instance" {
  description = "Name of the instance."
  value       = google_spanner_instance.shop.name
}

output "databases" {
  description = "Name of the database of each service."
  value       = { for service, database in google_spanner_database.service : service => database.name }
}
