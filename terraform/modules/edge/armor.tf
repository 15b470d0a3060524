# Cloud Armor. A rule refuses what no honest buyer sends, and slows what only a script sends so often. The first rule that matches decides. It has no say in the order of
# the line: a place is given by Spanner's commit, and who is let through a little later stands where he arrives.

resource "google_compute_security_policy" "shop" {
  project     = var.project_id
  name        = "fairdrop-shop"
  type        = "CLOUD_ARMOR"
  description = "What may reach the shop."

  # It learns what is usual and raises an alert. It blocks nothing by itself: to it, an opening looks like an attack.
  adaptive_protection_config {
    layer_7_ddos_defense_config {
      enable          = true
      rule_visibility = "STANDARD"
    }
  }

  rule {
    priority    = 100
    action      = "deny(403)"
    preview     = false
    description = "The seller's interface is for the seller's addresses only; a token is needed besides."

    match {
      expr {
        expression = "request.path.startsWith('/v1/admin') && !(${join(" || ", [for range in var.admin_ranges : "inIpRange(origin.ip, '${range}')"])})"
      }
    }
  }

  rule {
    priority    = 200
    action      = "deny(403)"
    description = "CVE-2021-44228 and its kin."

    match {
      expr {
        expression = "evaluatePreconfiguredExpr('cve-canary')"
      }
    }
  }

  rule {
    priority    = 210
    action      = "deny(403)"
    description = "Scanners that say who they are."

    match {
      expr {
        expression = "evaluatePreconfiguredWaf('scannerdetection-v33-stable', {'sensitivity': 1})"
      }
    }
  }

  rule {
    priority    = 300
    action      = "deny(403)"
    description = "Bots that do not even have a token: an order without one is refused before it costs us anything."

    match {
      expr {
        expression = "request.method == 'POST' && request.path.startsWith('/v1/sales/') && !has(request.headers['authorization'])"
      }
    }
  }

  # Not by token: Cloud Armor counts by a header's first 128 bytes, and those of a bearer token are its algorithm, key and issuer, the
  # same for all buyers: the whole crowd would be one. So: by address and kind of TLS client, which parts the phones behind one
  # carrier's address from the script behind it. The limit per customer is the sale's own, and holds whatever comes through.
  rule {
    priority    = 400
    action      = "throttle"
    description = "Orders, by address and kind of client."

    match {
      expr {
        expression = "request.method == 'POST' && request.path.startsWith('/v1/sales/')"
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"

      enforce_on_key_configs {
        enforce_on_key_type = "IP"
      }

      enforce_on_key_configs {
        enforce_on_key_type = "TLS_JA4_FINGERPRINT"
      }

      rate_limit_threshold {
        count        = var.orders_per_client
        interval_sec = 10
      }
    }
  }

  # A mobile carrier has thousands of buyers behind one address, so this is far above what one of them sends.
  rule {
    priority    = 500
    action      = "rate_based_ban"
    description = "Everything, by address."

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action   = "allow"
      exceed_action    = "deny(429)"
      enforce_on_key   = "IP"
      ban_duration_sec = 60

      rate_limit_threshold {
        count        = var.requests_per_address
        interval_sec = 10
      }

      ban_threshold {
        count        = var.requests_per_address * 10
        interval_sec = 60
      }
    }
  }

  rule {
    priority    = 2147483647
    action      = "allow"
    description = "Everybody else."

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

# Stripe sends from many addresses and signs every event; only a flood is kept away.
resource "google_compute_security_policy" "webhooks" {
  project     = var.project_id
  name        = "fairdrop-webhooks"
  type        = "CLOUD_ARMOR"
  description = "What may reach the webhooks."

  rule {
    priority    = 100
    action      = "deny(403)"
    description = "CVE-2021-44228 and its kin."

    match {
      expr {
        expression = "evaluatePreconfiguredExpr('cve-canary')"
      }
    }
  }

  rule {
    priority    = 200
    action      = "deny(403)"
    description = "Nothing unsigned."

    match {
      expr {
        expression = "!has(request.headers['stripe-signature'])"
      }
    }
  }

  rule {
    priority    = 300
    action      = "throttle"
    description = "By address; Stripe repeats what is refused."

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = 2000
        interval_sec = 10
      }
    }
  }

  rule {
    priority    = 2147483647
    action      = "allow"
    description = "Everybody else."

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}
