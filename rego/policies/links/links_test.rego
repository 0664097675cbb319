package sallyport.policies.links_test

import data.sallyport.policies.links
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_links[note] if {
	some note, case in testing.cases("links")
	says := testing.says(links) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
