# What is looked at while a sale runs, and what wakes somebody up. Figures of our own come from the workers' /metrics by way of the
# sidecar; all others are Google's.

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_emails)

  project      = var.project_id
  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }
}

locals {
  channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  requests = "resource.type=\"https_lb_rule\" AND resource.labels.url_map_name=\"${var.url_map}\" AND metric.type=\"loadbalancing.googleapis.com/https/request_count\""
  spanner  = "resource.type=\"spanner_instance\" AND resource.labels.instance_id=\"${var.spanner_instance}\""

  # Google's figures: a filter, how it is put together, and the bound.
  thresholds = {
    server_errors = {
      title = "Answers of 5xx are more than ${var.server_error_share * 100}% of all", filter = "${local.requests} AND metric.labels.response_code_class=500", of = local.requests
      align = "ALIGN_RATE", reduce = "REDUCE_SUM", bound = var.server_error_share, for = "120s"
      say   = "503 with Retry-After is overload, answered: scale up (docs/deploy.md, the day of the sale). 500 is a fault: read the API's log."
    }
    spanner_busy = {
      title = "Spanner's high-priority work takes more than ${var.spanner_cpu_share * 100}% of its processors", filter = "${local.spanner} AND metric.type=\"spanner.googleapis.com/instance/cpu/utilization_by_priority\" AND metric.labels.priority=\"high\"", of = null
      align = "ALIGN_MEAN", reduce = "REDUCE_SUM", bound = var.spanner_cpu_share, for = "300s"
      say   = "Raise min_nodes by hand: Spanner's own scaling takes minutes."
    }
    lock_wait = {
      title = "Transactions wait for locks", filter = "${local.spanner} AND metric.type=\"spanner.googleapis.com/lock_stat/total/lock_wait_time\"", of = null
      align = "ALIGN_RATE", reduce = "REDUCE_SUM", bound = var.lock_wait_seconds_per_second, for = "300s"
      say   = "Lanes meet on the same stock shards. Fewer API processes; more shards for the next sale (fairdrop sale create --shard-count), for a sale keeps its own."
    }
    unacked = {
      title = "An event has waited for its consumer for more than ${var.oldest_event_seconds} s", filter = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\"payments.order-events|settlement.payment-events\") AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", of = null
      align = "ALIGN_MAX", reduce = "REDUCE_MAX", bound = var.oldest_event_seconds, for = "120s"
      say   = "payments.order-events: the payment workers, or the gateway is away. settlement.payment-events: the settlement workers. More instances of the one that is behind."
    }
    dead_letters = {
      title = "There is a dead letter", filter = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\".*\\\\.dead\\\\.inbox\") AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\"", of = null
      align = "ALIGN_MAX", reduce = "REDUCE_SUM", bound = 0, for = "0s"
      say   = "fairdrop dead-letters shows it with its reason; no program can deal with it."
    }
  }

  # Ours, in PromQL. A test holds the names to those that the workers show.
  queries = {
    outbox_lag = {
      title = "An event has waited for the broker for more than ${var.outbox_lag_seconds} s"
      query = "max(fairdrop_outbox_oldest_seconds) > ${var.outbox_lag_seconds}", for = "120s"
      say   = "Pub/Sub is away, or relay or payments-relay is dead or too slow: events wait in the outbox, and none is lost."
    }
    relay_silent = {
      title = "No relay says how it does"
      query = "absent(fairdrop_events_published_total)", for = "300s"
      say   = "No relay runs, or its sidecar does not. Look at the worker pools fairdrop-relay and fairdrop-payments-relay."
    }
    overdue = {
      title = "Orders are overdue"
      query = "min_over_time(max(fairdrop_orders_overdue)[2m:30s]) > 0", for = "120s"
      say   = "Holds, captures and waitlists are behind their time: more instances of deadlines; its log says what fails."
    }
    deadlines_silent = {
      title = "No deadlines worker says how it does"
      query = "absent(fairdrop_orders_due_moved_total)", for = "300s"
      say   = "No deadlines worker runs: holds do not expire and nothing is captured until one does. Look at the worker pool fairdrop-deadlines."
    }
  }
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.thresholds

  project               = var.project_id
  display_name          = "Fairdrop: ${each.value.title}"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter             = each.value.filter
      denominator_filter = each.value.of
      comparison         = "COMPARISON_GT"
      threshold_value    = each.value.bound
      duration           = each.value.for

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = each.value.align
        cross_series_reducer = each.value.reduce
      }

      dynamic "denominator_aggregations" {
        for_each = each.value.of[*]

        content {
          alignment_period     = "60s"
          per_series_aligner   = each.value.align
          cross_series_reducer = each.value.reduce
        }
      }
    }
  }

  documentation {
    content   = "${each.value.say}\n\nRunbook: docs/runbook.md#${each.key}"
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "query" {
  for_each = local.queries

  project               = var.project_id
  display_name          = "Fairdrop: ${each.value.title}"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = each.value.for
      evaluation_interval = "30s"
    }
  }

  documentation {
    content   = "${each.value.say}\n\nRunbook: docs/runbook.md#${each.key}"
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_uptime_check_config" "ready" {
  project      = var.project_id
  display_name = "Fairdrop: ready"
  timeout      = "10s"
  period       = "60s"

  http_check {
    path         = "/readyz"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = var.domain }
  }
}

resource "google_billing_budget" "monthly" {
  billing_account = var.billing_account
  display_name    = "Fairdrop in ${var.project_id}"

  budget_filter {
    projects = ["projects/${var.project_id}"]
  }

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(var.budget.units)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]

    content {
      threshold_percent = threshold_rules.value
    }
  }

  # Before the money is spent, and not after: a schedule that never scaled down shows here first.
  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = slice(local.channels, 0, min(5, length(local.channels)))
  }
}
