# METADATA
# title: No change of privileges or roles
# description: GRANT, REVOKE, roles, owners, policies, SET ROLE and SET SESSION AUTHORIZATION.
package sallyport.policies.privileges

import data.sallyport.lib.sql

# METADATA
# title: Refused
deny contains {"code": "privilege_change", "message": "Agents may not change privileges, roles or ownership."} if {
	"grant" in sql.effects
}

deny contains {"code": "privilege_change", "message": "Agents may not change privileges, roles or ownership."} if {
	some verb in sql.verbs
	some word in split(verb, "_")
	word in {"role", "user", "owner", "owned", "policy", "grant", "revoke", "privileges", "security"}
}

deny contains {"code": "role_change", "message": "Agents work as the role the gateway logged in with."} if {
	some setting in sql.settings
	lower(setting.name) in {"role", "session_authorization", "session authorization"}
}
