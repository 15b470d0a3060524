# The values are added by hand (gcloud secrets versions add): in Terraform they would be in its state.
resource "google_secret_manager_secret" "given" {
  #checkov:skip=CKV_GCP_84:Google's own encryption; a key of one's own would be one more thing that can stop a sale
  for_each = toset(["claim-key", "metrics-token", "stripe-api-key", "stripe-webhook-secret"])

  project   = var.project_id
  secret_id = each.key

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each = {
    for pair in setproduct(keys(google_secret_manager_secret.given), keys(var.readers)) :
    "${pair[0]}/${pair[1]}" => { secret = pair[0], reader = pair[1] }
    if contains(var.readers[pair[1]].secrets, pair[0])
  }

  project   = var.project_id
  secret_id = google_secret_manager_secret.given[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = var.readers[each.value.reader].member
}
