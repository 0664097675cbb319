package sallyport.policies.bulk_export_test

import data.sallyport.policies.bulk_export
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_bulk_export[note] if {
	some note, case in testing.cases("bulk_export")
	says := testing.says(bulk_export) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
