output "topics" {
  description = "Names of the topics."
  value       = sort([for topic in google_pubsub_topic.events : topic.name])
}

output "subscriptions" {
  description = "Names of the subscriptions."
  value       = sort([for subscription in google_pubsub_subscription.events : subscription.name])
}
