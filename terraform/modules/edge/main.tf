resource "google_compute_global_address" "public" {
  project = var.project_id
  name    = "fairdrop"
}

resource "google_compute_region_network_endpoint_group" "api" {
  for_each = toset(var.api_regions)

  project               = var.project_id
  name                  = "fairdrop-api"
  region                = each.key
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = var.api_service
  }
}

resource "google_compute_region_network_endpoint_group" "webhooks" {
  project               = var.project_id
  name                  = "fairdrop-webhooks"
  region                = var.webhooks_region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = var.webhooks_service
  }
}

locals {
  transport_security = ["Strict-Transport-Security: max-age=31536000; includeSubDomains"]
}

resource "google_compute_backend_service" "api" {
  project                 = var.project_id
  name                    = "fairdrop-api"
  protocol                = "HTTPS"
  load_balancing_scheme   = "EXTERNAL_MANAGED"
  security_policy         = google_compute_security_policy.shop.id
  custom_response_headers = local.transport_security

  dynamic "backend" {
    for_each = google_compute_region_network_endpoint_group.api

    content {
      group = backend.value.id
    }
  }

  log_config {
    enable      = true
    sample_rate = var.log_share
  }
}

# The public page of a sale, which the whole crowd polls. Its answer says max-age=1, so each place of the CDN asks once a second.
resource "google_compute_backend_service" "sale_pages" {
  project                 = var.project_id
  name                    = "fairdrop-sale-pages"
  protocol                = "HTTPS"
  load_balancing_scheme   = "EXTERNAL_MANAGED"
  security_policy         = google_compute_security_policy.shop.id
  enable_cdn              = true
  custom_response_headers = local.transport_security

  cdn_policy {
    cache_mode         = "USE_ORIGIN_HEADERS"
    request_coalescing = true # many misses at one instant are one request
    serve_while_stale  = 0    # a page that says "not open yet" after the opening would be worse than none

    cache_key_policy {
      include_host         = true
      include_protocol     = false
      include_query_string = false # or ?x=1, ?x=2 … would each be a miss
    }
  }

  dynamic "backend" {
    for_each = google_compute_region_network_endpoint_group.api

    content {
      group = backend.value.id
    }
  }

  log_config {
    enable      = true
    sample_rate = var.log_share
  }
}

resource "google_compute_backend_service" "webhooks" {
  project                 = var.project_id
  name                    = "fairdrop-webhooks"
  protocol                = "HTTPS"
  load_balancing_scheme   = "EXTERNAL_MANAGED"
  security_policy         = google_compute_security_policy.webhooks.id
  custom_response_headers = local.transport_security

  backend {
    group = google_compute_region_network_endpoint_group.webhooks.id
  }

  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_url_map" "https" {
  project         = var.project_id
  name            = "fairdrop"
  default_service = google_compute_backend_service.api.id

  host_rule {
    hosts        = var.domains
    path_matcher = "shop"
  }

  path_matcher {
    name            = "shop"
    default_service = google_compute_backend_service.api.id

    route_rules {
      priority = 1
      service  = google_compute_backend_service.webhooks.id

      match_rules {
        full_path_match = "/webhooks/stripe"
      }
    }

    # Only the page itself: what is below it belongs to one buyer.
    route_rules {
      priority = 2
      service  = google_compute_backend_service.sale_pages.id

      match_rules {
        path_template_match = "/v1/sales/{sale=*}"
      }
    }
  }
}

resource "google_compute_url_map" "to_https" {
  project = var.project_id
  name    = "fairdrop-to-https"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT" # 308 keeps a POST a POST
    strip_query            = false
  }
}

# Named after its domains, so that a change makes the new one before it takes the old one away.
resource "google_compute_managed_ssl_certificate" "public" {
  project = var.project_id
  name    = "fairdrop-${substr(sha256(join(",", var.domains)), 0, 8)}"

  managed {
    domains = var.domains
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_ssl_policy" "modern" {
  project         = var.project_id
  name            = "fairdrop-modern"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "public" {
  project          = var.project_id
  name             = "fairdrop"
  url_map          = google_compute_url_map.https.id
  ssl_certificates = [google_compute_managed_ssl_certificate.public.id]
  ssl_policy       = google_compute_ssl_policy.modern.id

  # Shorter than gunicorn's 75 s.
  http_keep_alive_timeout_sec = 60
}

resource "google_compute_target_http_proxy" "to_https" {
  project = var.project_id
  name    = "fairdrop-to-https"
  url_map = google_compute_url_map.to_https.id
}

resource "google_compute_global_forwarding_rule" "https" {
  project               = var.project_id
  name                  = "fairdrop-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.public.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.public.id
}

resource "google_compute_global_forwarding_rule" "http" {
  project               = var.project_id
  name                  = "fairdrop-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.public.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.to_https.id
}
