resource "google_spanner_instance" "shop" {
  project                      = var.project_id
  name                         = var.instance_id
  display_name                 = "Fairdrop"
  config                       = var.config
  edition                      = var.edition
  processing_units             = var.autoscaling == null ? var.processing_units : null
  default_backup_schedule_type = "NONE" # those below are the only ones
  force_destroy                = false

  dynamic "autoscaling_config" {
    for_each = var.autoscaling[*]

    content {
      autoscaling_limits {
        min_nodes = autoscaling_config.value.min_nodes
        max_nodes = autoscaling_config.value.max_nodes
      }

      autoscaling_targets {
        high_priority_cpu_utilization_percent = autoscaling_config.value.cpu_percent
        storage_utilization_percent           = 80
      }
    }
  }

  lifecycle {
    # The schedule raises the floor before a sale; an apply during the sale must not take the nodes away.
    ignore_changes = [autoscaling_config[0].autoscaling_limits[0].min_nodes]
  }
}

# The tables are not declared here: `fairdrop schema apply` puts the numbered files of spanner_schema/ into force and records
# which, with their checksums. Terraform's `ddl` can only append, knows no checksums, and would run at any apply; the schema is to
# change as a step of a deploy.
resource "google_spanner_database" "service" {
  #checkov:skip=CKV_GCP_93:Google's own encryption; a key that is disabled by mistake would stop the sale
  for_each = var.databases

  project                  = var.project_id
  instance                 = google_spanner_instance.shop.name
  name                     = each.value
  version_retention_period = "7d"
  enable_drop_protection   = true
  deletion_protection      = true

  lifecycle {
    ignore_changes = [ddl]
  }
}

resource "google_spanner_backup_schedule" "daily" {
  for_each = google_spanner_database.service

  project            = var.project_id
  instance           = google_spanner_instance.shop.name
  database           = each.value.name
  name               = "daily"
  retention_duration = "${var.backup_retention_days * 86400}s"

  spec {
    cron_spec {
      text = var.backup_cron
    }
  }

  full_backup_spec {}
}

resource "google_spanner_database_iam_member" "uses" {
  for_each = var.data_users

  project  = var.project_id
  instance = google_spanner_instance.shop.name
  database = google_spanner_database.service[each.value.database].name
  role     = var.data_role
  member   = each.value.member
}

resource "google_spanner_database_iam_member" "changes_schema" {
  for_each = google_spanner_database.service

  project  = var.project_id
  instance = google_spanner_instance.shop.name
  database = each.value.name
  role     = "roles/spanner.databaseAdmin"
  member   = var.schema_member
}
