# One account a process, so that each has its own rights and the audit log says who did what. What an account may do with a
# database, a topic or a secret is granted where that is declared; here are only the roles that know no smaller resource.

locals {
  runtimes = ["api", "relay", "payments-relay", "payments", "settlement", "deadlines", "webhooks", "operator", "schema"]
}

resource "google_service_account" "process" {
  for_each = toset(concat(local.runtimes, ["scheduler"]))

  project      = var.project_id
  account_id   = "fairdrop-${each.key}"
  display_name = "Fairdrop: ${each.key}"
}

# roles/spanner.databaseUser may also change the schema. Nothing that serves a crowd needs that.
resource "google_project_iam_custom_role" "data_user" {
  project     = var.project_id
  role_id     = "fairdropDataUser"
  title       = "Fairdrop data user"
  description = "Read and write rows of a Spanner database; no schema, no backups, no administration."
  permissions = [
    "spanner.databases.beginOrRollbackReadWriteTransaction",
    "spanner.databases.beginReadOnlyTransaction",
    "spanner.databases.get",
    "spanner.databases.partitionQuery",
    "spanner.databases.partitionRead",
    "spanner.databases.read",
    "spanner.databases.select",
    "spanner.databases.write",
    "spanner.sessions.create",
    "spanner.sessions.delete",
    "spanner.sessions.get",
  ]
}

# What the schedule needs to scale before a sale, and no more: neither images nor data.
resource "google_project_iam_custom_role" "scaler" {
  project     = var.project_id
  role_id     = "fairdropScaler"
  title       = "Fairdrop scaler"
  description = "Change how many instances and nodes there are."
  permissions = [
    "run.operations.get",
    "run.services.get",
    "run.services.update",
    "run.workerpools.get",
    "run.workerpools.update",
    "spanner.instanceOperations.get",
    "spanner.instances.get",
    "spanner.instances.update",
  ]
}

resource "google_project_iam_member" "scaler" {
  project = var.project_id
  role    = google_project_iam_custom_role.scaler.id
  member  = google_service_account.process["scheduler"].member
}

# Cloud Run asks this of whoever changes a service, even of its number of instances only.
resource "google_service_account_iam_member" "scaler_acts_as" {
  for_each = toset(["api", "relay", "payments-relay", "payments", "settlement", "deadlines"])

  service_account_id = google_service_account.process[each.key].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.process["scheduler"].member
}

# Spans go to Cloud Trace by Google's OTLP endpoint, which has roles of its own.
resource "google_project_iam_member" "writes_traces" {
  for_each = toset(local.runtimes)

  project = var.project_id
  role    = "roles/telemetry.tracesWriter"
  member  = google_service_account.process[each.key].member
}

# Spanner's client library and the Prometheus sidecar write their figures.
resource "google_project_iam_member" "writes_metrics" {
  for_each = toset(local.runtimes)

  project = var.project_id
  role    = "roles/monitoring.metricWriter"
  member  = google_service_account.process[each.key].member
}
