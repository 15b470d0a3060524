# CI has no key. A workflow of one repository shows GitHub's signed statement of what it is, and gets a token for an hour.

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project_id
  workload_identity_pool_id = "github"
  display_name              = "GitHub Actions"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125:it looks for assertion.sub only; the condition here names the repository and its owner's number, and each account the branch
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "fairdrop"
  display_name                       = "Fairdrop's repository"
  attribute_condition                = "assertion.repository == '${var.repository}' && assertion.repository_owner_id == '${var.repository_owner_id}'"

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
    "attribute.branch"     = "assertion.repository + '@' + assertion.ref"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "ci" {
  for_each = { plan = "reads, to plan", images = "pushes images" }

  project      = var.project_id
  account_id   = "fairdrop-ci-${each.key}"
  display_name = "Fairdrop CI: ${each.value}"
}

# Any branch may plan; only main may push. Nobody applies from CI: that is a person's, after reading the plan.
resource "google_service_account_iam_member" "github" {
  for_each = {
    plan   = "attribute.repository/${var.repository}"
    images = "attribute.branch/${var.repository}@refs/heads/main"
  }

  service_account_id = google_service_account.ci[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/${each.value}"
}

# What each resource is, and no row, message or secret. roles/viewer would be shorter, and more.
resource "google_project_iam_member" "plan" {
  for_each = toset([
    "roles/artifactregistry.reader",
    "roles/cloudscheduler.viewer",
    "roles/compute.viewer",
    "roles/iam.roleViewer",
    "roles/iam.securityReviewer",
    "roles/iam.workloadIdentityPoolViewer",
    "roles/monitoring.viewer",
    "roles/pubsub.viewer",
    "roles/run.viewer",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageConsumer",
    "roles/spanner.viewer",
  ])

  project = var.project_id
  role    = each.key
  member  = google_service_account.ci["plan"].member
}

resource "google_billing_account_iam_member" "plan_reads_budget" {
  billing_account_id = var.billing_account
  role               = "roles/billing.viewer"
  member             = google_service_account.ci["plan"].member
}

resource "google_storage_bucket_iam_member" "plan_reads_state" {
  bucket = var.state_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.ci["plan"].member
}
