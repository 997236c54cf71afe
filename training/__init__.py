"""Makes weights: data sets, losses and trainers. Never imported by the app; imports no pages, services or curation."""
