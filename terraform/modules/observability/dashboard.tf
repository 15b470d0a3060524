locals {
  # A row of the dashboard each: title, and the query in PromQL or the filter.
  charts = [
    { title = "Requests a second, by class of answer", filter = local.requests, align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.label.response_code_class"] },
    { title = "Requests a second, by what the CDN did", filter = local.requests, align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.label.cache_result"] },
    { title = "Latency of the backend, p99, ms", filter = replace(local.requests, "request_count", "backend_latencies"), align = "ALIGN_PERCENTILE_99", reduce = "REDUCE_MAX", by = [] },
    { title = "API instances", filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.api_service}\" AND metric.type=\"run.googleapis.com/container/instance_count\"", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = ["resource.label.location", "metric.label.state"] },
    { title = "Requests at once in an API instance, p99", filter = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.api_service}\" AND metric.type=\"run.googleapis.com/container/max_request_concurrencies\"", align = "ALIGN_PERCENTILE_99", reduce = "REDUCE_MAX", by = ["resource.label.location"] },
    { title = "Spanner: processors, by priority", filter = "${local.spanner} AND metric.type=\"spanner.googleapis.com/instance/cpu/utilization_by_priority\"", align = "ALIGN_MEAN", reduce = "REDUCE_SUM", by = ["metric.label.priority"] },
    { title = "Spanner: nodes", filter = "${local.spanner} AND metric.type=\"spanner.googleapis.com/instance/node_count\"", align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = [] },
    { title = "Spanner: latency, p99, s", filter = "${local.spanner} AND metric.type=\"spanner.googleapis.com/api/request_latencies\"", align = "ALIGN_PERCENTILE_99", reduce = "REDUCE_MAX", by = ["metric.label.method"] },
    { title = "Spanner: lock wait, s a second", filter = local.thresholds.lock_wait.filter, align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["resource.label.instance_id"] },
    { title = "Oldest event not yet dealt with, s", filter = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = ["resource.label.subscription_id"] },
  ]

  own_charts = [
    { title = "Oldest event not yet published, s", query = "max by (job) (fairdrop_outbox_oldest_seconds)" },
    { title = "Commit to broker, p99, s", query = "max by (job) (fairdrop_publish_lag_p99_seconds)" },
    { title = "Events published a second", query = "sum(rate(fairdrop_events_published_total[1m]))" },
    { title = "Messages handled a second", query = "sum(rate(fairdrop_messages_handled_total[1m]))" },
    { title = "Overdue orders", query = "sum(fairdrop_orders_overdue)" },
    { title = "Dead letters", query = "sum(fairdrop_dead_letters_total)" },
  ]

  widgets = concat(
    [for chart in local.charts : {
      title = chart.title
      xyChart = { dataSets = [{ plotType = "LINE", timeSeriesQuery = { timeSeriesFilter = {
        filter = chart.filter
        aggregation = {
          alignmentPeriod    = "60s"
          perSeriesAligner   = chart.align
          crossSeriesReducer = chart.reduce
          groupByFields      = chart.by
        }
      } } }] }
    }],
    [for chart in local.own_charts : {
      title   = chart.title
      xyChart = { dataSets = [{ plotType = "LINE", timeSeriesQuery = { prometheusQuery = chart.query } }] }
    }],
  )
}

resource "google_monitoring_dashboard" "sale" {
  project = var.project_id

  dashboard_json = jsonencode({
    displayName = "Fairdrop: a sale"
    gridLayout  = { columns = "3", widgets = local.widgets }
  })
}
