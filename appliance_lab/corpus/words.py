"""The French of a town hall: people, streets, sentences. All of it is invented."""

from __future__ import annotations

from functools import cache

from appliance_lab.corpus.draw import Draw

SURNAMES = (
    "Lefèvre", "Lemaître", "Noël", "Béranger", "Carpentier", "Dubois", "Delaître", "Hénaut", "Lecœur", "Desprès",
    "Crépin", "Tavernier", "Beauchêne", "Fauconnier", "Guérin", "Mercier", "Pelletier", "Rousseau", "Thévenin",
    "Vasseur", "Maréchal", "Bazin", "Créteur", "D'Hondt", "L'Hermitte", "Le Goff", "Ait Saïd", "Çelik", "Muñoz",
)  # fmt: skip
STREETS = (
    "rue de l'Église", "rue du Moulin", "chemin des Prés", "rue de la Forêt", "place de la Mairie", "impasse du Puits",
    "rue du Général-Leclerc", "ruelle aux Ânes", "route de Compiègne", "quai de l'Aisne", "allée des Tilleuls",
)  # fmt: skip
TITLES = ("M.", "Mme")
SENTENCE_BYTES = 115  # the mean, with its separator
_SUBJECTS = (
    "Le conseil municipal", "Madame la maire", "Le secrétariat", "La commission d'urbanisme", "Le pétitionnaire",
    "L'agent technique", "La trésorerie", "Le service périscolaire", "L'intercommunalité", "L'adjoint aux travaux",
)  # fmt: skip
_VERBS = (
    "approuve à l'unanimité", "transmet pour avis", "demande à revoir", "étudie de nouveau", "a reçu ce jour",
    "propose d'inscrire au budget", "autorise sous réserve", "rappelle aux habitants", "ajourne", "rejette",
)  # fmt: skip
_OBJECTS = (
    "la réfection de la toiture de l'école", "la demande de permis de construire", "le tarif de la cantine",
    "l'enquête publique sur le plan local d'urbanisme", "les travaux d'assainissement", "la subvention à l'association",
    "la convention de mise à disposition", "le dossier d'état civil", "l'arrêté de circulation", "la fête du village",
    "le relevé des compteurs d'eau", "la vente de la parcelle cadastrée", "le procès-verbal de la séance précédente",
)  # fmt: skip
_ENDINGS = (
    "avant la fin du trimestre", "conformément au code général des collectivités territoriales", "sans observation",
    "après avis de la préfecture", "pour un montant à préciser", "selon le devis joint", "malgré la crue de l'Aisne",
)  # fmt: skip


def person(draw: Draw) -> str:
    """Such as "Mme Lefèvre"."""
    return f"{draw.pick(TITLES)} {draw.pick(SURNAMES)}"


@cache
def sentences() -> tuple[str, ...]:
    """The 4,000 sentences that every text picks from; none holds a character that XML would escape."""
    draw = Draw("sentences")
    return tuple(
        f"{draw.pick(_SUBJECTS)} {draw.pick(_VERBS)} {draw.pick(_OBJECTS)}"
        f" n° {draw.below(9000)}, {draw.pick(_ENDINGS)}."
        for _ in range(4000)
    )


def prose(draw: Draw, size: int) -> list[str]:
    """Sentences of about `size` bytes of UTF-8 in all; at least one."""
    choices = sentences()
    return [draw.pick(choices) for _ in range(max(1, size // SENTENCE_BYTES))]
