select campaign
from {{ source('night', 'own_campaigns') }}
