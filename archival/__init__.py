"""What leaves the hot log, when, and what may not: retention policies, legal holds, clean-ups, and who else has to want it.

`retention` says what is due; `holds` places and releases legal holds, and guards erasures by the log's door (`logs.extensions`); `cleanups` purges
what an Admin asks for; `dual_control` has a second Admin confirm what can't be undone.
"""
