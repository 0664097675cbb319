# METADATA
# title: What is masked in text by how it looks
# description: Secrets, and personal data too where the upstream is labelled `pii`. Detectors by name.
package sallyport.lib.output

redacted := {detector: {"replace": {"value": "[redacted]"}} | some detector in (secrets | personal)}

secrets := {
	"aws_access_key", "aws_secret_key", "bearer_token", "generic_secret", "github_token", "google_api_key", "jwt",
	"password_hash", "private_key", "slack_token", "stripe_key", "url_credentials",
}

personal := {"email", "us_ssn", "credit_card"} if {
	input.resource.properties.labels.pii == "true"
} else := set()
