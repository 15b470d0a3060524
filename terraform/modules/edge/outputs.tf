output "address" {
  description = "Where the DNS records of the domains must point."
  value       = google_compute_global_address.public.address
}

output "url_map" {
  description = "Name of the load balancer's URL map, as its figures are labelled."
  value       = google_compute_url_map.https.name
}
