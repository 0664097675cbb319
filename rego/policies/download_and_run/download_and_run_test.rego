package sallyport.policies.download_and_run_test

import data.sallyport.policies.download_and_run
import data.sallyport.testing

# By itself: allow, deny, or nothing.
test_download_and_run[note] if {
	some note, case in testing.cases("download_and_run")
	says := testing.says(download_and_run) with input as testing.input_of(case) with data.config as testing.config_of(case)
	says == case.says
}
