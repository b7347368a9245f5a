"""The till: adds up what is bought."""
