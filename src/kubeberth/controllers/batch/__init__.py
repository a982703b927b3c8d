"""Jobs and cron jobs: pods that end."""
