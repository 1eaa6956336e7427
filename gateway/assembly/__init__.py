"""Makes the parts, a module for each group of them; ``gateway/app.py`` joins the groups."""
