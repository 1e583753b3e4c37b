"""The paper's claims, held against trainings on sample data."""
