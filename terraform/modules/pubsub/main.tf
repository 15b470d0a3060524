# The names are those of app/messaging/topics.py; a test holds the two equal.
#
# No dead_letter_policy: it counts deliveries, and here a message is delivered again and again for as long as a payment's outcome
# is unknown, which a gateway that is away for an hour makes so for all of them. Such a message must never leave its line. The
# consumers themselves publish to the dead-letter topic what can never be dealt with, with the reason.

locals {
  subscriptions = {
    "payments.order-events"     = { topic = "order-events", ordered = true }
    "settlement.payment-events" = { topic = "payment-events", ordered = true }
    "order-events.dead.inbox"   = { topic = "order-events.dead", ordered = false }
    "payment-events.dead.inbox" = { topic = "payment-events.dead", ordered = false }
  }

  # What a subscription keeps at most. The outbox keeps its rows as long, so that a replay reaches as far back.
  week = "604800s"
}

resource "google_pubsub_topic" "events" {
  #checkov:skip=CKV_GCP_83:Google's own encryption; events name orders by id, and no card or address
  for_each = toset([for subscription in values(local.subscriptions) : subscription.topic])

  project                    = var.project_id
  name                       = each.key
  message_retention_duration = local.week

  message_storage_policy {
    allowed_persistence_regions = var.regions
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_pubsub_subscription" "events" {
  for_each = local.subscriptions

  project                      = var.project_id
  name                         = each.key
  topic                        = google_pubsub_topic.events[each.value.topic].id
  enable_message_ordering      = each.value.ordered
  ack_deadline_seconds         = 60
  message_retention_duration   = local.week
  enable_exactly_once_delivery = false

  # Never: a subscription without a sale for a month would be gone with the next one's events.
  expiration_policy {
    ttl = ""
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_pubsub_topic_iam_member" "publishes" {
  for_each = var.publishers

  project = var.project_id
  topic   = google_pubsub_topic.events[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

resource "google_pubsub_subscription_iam_member" "subscribes" {
  for_each = var.subscribers

  project      = var.project_id
  subscription = google_pubsub_subscription.events[each.value.subscription].name
  role         = "roles/pubsub.subscriber"
  member       = each.value.member
}
