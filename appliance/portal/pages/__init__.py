"""The pages of the portal: each reads what was asked, looks it up in scope, and shows it.

`find.py` finds a file, `file.py` lists its versions, `folder.py` shows a folder on a day, `gone.py` what was deleted,
`attack.py` what an attack hit, `views.py` an old version, `requests.py` restore requests.
"""
